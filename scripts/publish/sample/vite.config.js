// Threads need a page that is isolated from other origins. What is not there is answered by 404, not by the page.
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

export default { appType: 'mpa', server: { headers }, preview: { headers }, worker: { format: 'es' } };
