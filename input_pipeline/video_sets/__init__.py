"""MSR-VTT, MSVD and VATEX: the files a user has downloaded -> videos, captions and splits."""
