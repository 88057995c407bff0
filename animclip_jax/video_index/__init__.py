"""An index of a folder of videos: how it is kept, brought up to date and searched."""
