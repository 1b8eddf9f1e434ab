// Threads need a page that is isolated from other origins. What is not there is answered by 404, not by the page.
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

// Without a desktop there is no browser to open: the address that vite prints has to do.
const { platform, env } = process;
const desktop = platform !== 'linux' || env.DISPLAY !== undefined || env.WAYLAND_DISPLAY !== undefined;
const open = desktop && env.SSH_CONNECTION === undefined;

export default { appType: 'mpa', server: { headers, open }, preview: { headers }, worker: { format: 'es' } };
