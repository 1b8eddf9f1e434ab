// Filled in with the first shader.
