"""The desk in the browser: an HTTP server over the register and the duty, and the page that it serves."""
