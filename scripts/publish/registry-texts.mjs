/** What texts of a package say where it comes from a registry, far from the files of this repository. */
import { posix } from 'node:path';

/** Returns the address of a file, whose name has an ending, or of a folder of the repository, as a browser opens it. */
export function addressOf(path, repository) {
  const web = repository.replace(/^git\+|\.git$/g, '');
  return `${web}/${posix.extname(path) === '' ? 'tree' : 'blob'}/main/${path}`;
}

/** The sentence of a README on where the package comes from, up to what else its paragraph says. */
const FROM_A_CLONE = /^It comes from this repository, not from npm,[\s\S]*? them installed\.\s?/m;

/**
 * Returns a package's README with a command that installs what its first sample imports, where the sources speak of a
 * clone, and with whole addresses in its links.
 * @throws where its sentence on a clone is written in another way than those of other packages
 */
export function registryReadme(text, { short, scope, repository }) {
  if (/not from npm/.test(text) && !FROM_A_CLONE.test(text))
    throw new Error(`README.md of ${short}: expected the sentence on a clone as in the READMEs of other packages`);
  const sample = /^```js[\s\S]*?^```/m.exec(text)?.[0] ?? '';
  const imported = [...sample.matchAll(/from '@mamba\/([\w-]+)/g)].map(([, name]) => name);
  const names = [...new Set([short, ...imported])].map((name) => `${scope}/${name}`).join(' ');
  return text
    .replace(FROM_A_CLONE, `\`\`\`sh\nnpm install ${names}\n\`\`\`\n\n`)
    .replace(/\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)/g, (_, target, part = '') => {
      const path = posix.normalize(posix.join('packages', short, target));
      return `](${addressOf(path, repository)}${part})`;
    });
}

/** Returns a source with whole addresses of the sections that errors name. */
export const registrySource = (text, repository) =>
  text.replaceAll('`docs/errors.md#${', () => `\`${addressOf('docs/errors.md', repository)}#\${`);
