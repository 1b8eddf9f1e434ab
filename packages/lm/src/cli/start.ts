/** Starts `mamba-lm`, or names the packages that it lacks: the library is installed without them. */
import { readFileSync } from 'node:fs';
import process from 'node:process';

try {
  await import('./main.ts');
} catch (error) {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { peerDependencies } = JSON.parse(manifest) as { readonly peerDependencies: Readonly<Record<string, string>> };
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  const isPeer = (name: string) => String(message).includes(`'${name}'`) || String(message).includes(`'${name}/`);
  if (code !== 'ERR_MODULE_NOT_FOUND' || !Object.keys(peerDependencies).some(isPeer)) throw error;
  // These two are asked for where an option needs them.
  const wanted = Object.entries(peerDependencies).filter(([name]) => !['@redis/client', 'prom-client'].includes(name));
  const packages = wanted.map(([name, range]) => `${name}@${range}`);
  process.stderr.write(
    `mamba-lm: the command line needs packages that the library goes without; run: npm install ${packages.join(' ')}\n`,
  );
  process.exitCode = 1;
}
