/**
 * Returns the id of a repository, a folder or a GGUF file from the address of its page on the hub; undefined for other
 * addresses.
 */
export function hubIdOfAddress(address: string): string | undefined {
  const path = /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\/([^?#]*)/i.exec(address.trim())?.[1];
  if (path === undefined) return undefined;
  const [owner = '', name = '', kind = '', revision = 'main', ...below] = path.split('/').filter(Boolean);
  const repository = revision === 'main' ? `${owner}/${name}` : `${owner}/${name}@${revision}`;
  if (kind === 'tree') return [repository, ...below].join('/');
  if (!['blob', 'resolve', 'raw'].includes(kind)) return `${owner}/${name}`;
  // A file that is no model by itself stands for its folder.
  const isModel = /\.gguf$/i.test(below.at(-1) ?? '');
  return [repository, ...(isModel ? below : below.slice(0, -1))].join('/');
}
