"""The web page and the JSON API of `animclip serve`, and what keeps strangers out of them."""
