// Results that stand for several moments of one scene.

const results = new Map(); // those that are shown, by id

export function keepResults(shown) {
  results.clear();
  for (const one of shown) results.set(one.id, one);
  document.dispatchEvent(new Event("results"));
}

// The scene of a result: when it begins and ends, and what was found of it. Null where that is one
// moment alone.
export function sceneOf(id) {
  const one = results.get(id);
  return isScene(one) ? { start: one.scene_start, end: one.scene_end, segments: one.segments } : null;
}

export function isScene(one) {
  return (one?.segments?.length ?? 0) > 1;
}
