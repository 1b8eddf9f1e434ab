// Writes the reference of every published package from its declarations and their comments, by typedoc: into the site's
// pages, or into a folder that is given.
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';
import { root } from '../../../scripts/lib.mjs';
import { entries } from './entries.mjs';

const here = dirname(dirname(fileURLToPath(import.meta.url)));

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
  // Nearly all are readonly, and a phone has no room for the column.
  tableColumnSettings: { hideModifiers: true },
  useCodeBlocks: true,
  outputs: [{ name: 'markdown', path: process.argv[2] ?? join(here, 'src/generated/site/api') }],
  logLevel: 'Warn',
  validation: { notExported: false, invalidLink: true, notDocumented: true },
  // What is exported has a comment. A property may go without where its name and type say all.
  requiredToBeDocumented: ['Enum', 'Variable', 'Function', 'Class', 'Interface', 'Method', 'Accessor', 'TypeAlias'],
  packagesRequiringDocumentation: [...new Set(entries.map(({ name }) => name.split('/').slice(0, 2).join('/')))],
});
const project = await app.convert();
if (project === undefined || app.logger.hasErrors()) process.exit(1);
// Links that lead nowhere, and exports without a comment.
app.validate(project);
if (app.logger.hasErrors() || app.logger.validationWarningCount > 0) process.exit(1);
for (const module of project.children ?? []) {
  const entry = entries.find(({ source }) => source.replace(/(?:\/index)?\.ts$/, '') === module.name);
  if (entry !== undefined) module.name = entry.name;
}
await app.generateOutputs(project);
if (app.logger.hasErrors()) process.exit(1);
