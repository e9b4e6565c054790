"""Pages in the browser: runs, latents and the lab, served from this machine."""
