"""The sentence that a search is asked, alike in the command and the server."""

MAX_CHARACTERS = 1000


def checked(text: str) -> str:
    """The sentence without the blanks around it.

    Raises:
      ValueError: nothing is left, or more than MAX_CHARACTERS.
    """
    text = text.strip()
    if not text:
        raise ValueError("the sentence is blank: say what the video shows")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"the sentence has {len(text)} characters, wanted 1 to {MAX_CHARACTERS}")
    return text
