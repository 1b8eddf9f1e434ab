// The `prepack` of each package: refuses to pack a package that is not built, or with a client that leaves `workspace:`
// and `catalog:` in its manifest.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** Returns the parts that a package lacks, in words; none where it can be packed. */
export function missing(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const named = [manifest.exports, manifest.imports, manifest.bin].flatMap(paths);
  const absent = [...new Set(named)].filter((path) => !existsSync(join(folder, path)));
  const sources = modules(join(folder, 'src'), '.ts').filter((stem) => !stem.endsWith('.test'));
  const built = modules(join(folder, 'dist'), '.js');
  return [
    ...absent.map((path) => `${path} is named in package.json and does not exist`),
    ...sources.filter((stem) => !built.includes(stem)).map((stem) => `src/${stem}.ts is not built`),
    ...built.filter((stem) => !sources.includes(stem)).map((stem) => `dist/${stem}.js has no source any more`),
  ];
}

const paths = (value) =>
  typeof value === 'string' ? [value] : Object.values(value ?? {}).flatMap((inner) => paths(inner));

/** Returns the files below a folder, without their ending. */
function modules(folder, ending) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(({ name }) => name.endsWith(ending) && !name.endsWith(`.d${ending}`))
    .map(({ parentPath, path, name }) => relative(folder, join(parentPath ?? path, name)).slice(0, -ending.length))
    .map((stem) => stem.replaceAll('\\', '/'))
    .filter((stem) => ending === '.js' || existsSync(join(folder, `${stem}.ts`)));
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const lacks = missing(process.cwd());
  const client = process.env.npm_config_user_agent ?? '';
  if (!client.startsWith('pnpm/')) lacks.push('only pnpm writes the versions of a workspace into a manifest');
  if (lacks.length > 0) {
    console.error(`This tree cannot be packed:\n${lacks.slice(0, 10).join('\n')}`);
    console.error(`Run in the repository's root: npm run clean, npm run build, then npm run pack -- FOLDER`);
    process.exitCode = 1;
  }
}
