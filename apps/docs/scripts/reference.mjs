// Writes the reference of every published package from its declarations and their comments, by typedoc.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';
import { root } from '../../../scripts/lib.mjs';

const here = dirname(dirname(fileURLToPath(import.meta.url)));

/** What a package exports: the name to import it by, and its source, since dist/x.js is made of src/x.ts. */
function entriesOf(folder) {
  const { name, exports } = JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8'));
  return Object.entries(exports)
    .filter(([, entry]) => entry.default?.startsWith('./dist/'))
    .map(([path, entry]) => ({
      name: name + path.slice(1),
      source: `packages/${folder}/${entry.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts')}`,
    }));
}

const entries = readdirSync(join(root, 'packages')).flatMap(entriesOf);
const app = await Application.bootstrapWithPlugins({
  name: 'Reference',
  entryPoints: entries.map(({ source }) => join(root, source)),
  basePath: root,
  displayBasePath: root,
  // `turbo typecheck` has done this.
  skipErrorChecking: true,
  tsconfig: join(here, 'tsconfig.reference.json'),
  plugin: ['typedoc-plugin-markdown'],
  router: 'module',
  readme: 'none',
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  githubPages: false,
  hidePageHeader: true,
  hideBreadcrumbs: true,
  entryFileName: 'index',
  parametersFormat: 'table',
  propertiesFormat: 'table',
  useCodeBlocks: true,
  outputs: [{ name: 'markdown', path: join(here, 'src/generated/site/api') }],
  logLevel: 'Warn',
  validation: { notExported: false, invalidLink: true, notDocumented: false },
  treatWarningsAsErrors: false,
});
const project = await app.convert();
if (project === undefined || app.logger.hasErrors()) process.exit(1);
for (const module of project.children ?? []) {
  const entry = entries.find(({ source }) => source.replace(/(?:\/index)?\.ts$/, '') === module.name);
  if (entry !== undefined) module.name = entry.name;
}
await app.generateOutputs(project);
if (app.logger.hasErrors()) process.exit(1);
