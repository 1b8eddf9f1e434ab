// The last step of a package's build: its declarations import the types of the host that they name (URL, AbortSignal,
// GPUDevice, …) from @mamba/core/host, so that they compile whatever the reader's `lib` and `types` are. Every file
// that an entry point reaches is rewritten.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import process from 'node:process';
import ts from 'typescript-api';

const folder = process.cwd();
const { name, exports, imports = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
const HOST = resolve(import.meta.dirname, '..', 'packages', 'core', 'src', 'host.ts');
const HOST_TYPES = [...readFileSync(HOST, 'utf8').matchAll(/^export (?:type|declare namespace) (\w+)/gm)].map(
  ([, type]) => type,
);

const seen = new Set();
for (const { types } of [...Object.values(exports), ...Object.values(imports)])
  if (types?.startsWith('./dist/')) visit(join(folder, types));

function visit(file) {
  if (seen.has(file) || !existsSync(file)) return;
  seen.add(file);
  const before = readFileSync(file, 'utf8');
  const text = before
    .replaceAll('typeof globalThis.fetch', 'Fetch')
    // Typed arrays have a parameter since TypeScript 5.7; older compilers read these files too.
    .replaceAll(/\b(\w+Array)<ArrayBuffer(?:Like)?>/g, '$1');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const named = new Set();
  const declared = new Set();
  const walk = (node) => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier?.text.startsWith('.'))
      visit(resolve(dirname(file), node.moduleSpecifier.text.replace(/\.[jt]s$/, '.d.ts')));
    if (ts.isImportTypeNode(node) && node.argument.literal.text.startsWith('.'))
      visit(resolve(dirname(file), node.argument.literal.text.replace(/\.[jt]s$/, '.d.ts')));
    if (ts.isTypeReferenceNode(node)) named.add(first(node.typeName));
    if (
      node.name !== undefined &&
      ts.isIdentifier(node.name) &&
      (ts.isDeclarationStatement(node) || ts.isImportSpecifier(node))
    )
      declared.add(node.name.text);
    ts.forEachChild(node, walk);
  };
  walk(source);
  const wanted = HOST_TYPES.filter((type) => named.has(type) && !declared.has(type));
  const host = name === '@mamba/core' ? toHost(file) : '@mamba/core/host';
  // The import goes to the end, so that no line moves and source maps stay right.
  const line = `import type { ${wanted.join(', ')} } from '${host}';\n`;
  const done = wanted.length === 0 ? text : text.replace(/(\/\/# sourceMappingURL=.*)?\s*$/, (map) => `${line}${map}`);
  if (done !== before) writeFileSync(file, done);
}

function first(entity) {
  return ts.isQualifiedName(entity) ? first(entity.left) : entity.text;
}

function toHost(file) {
  const path = relative(dirname(file), join(folder, 'dist', 'host.js')).replaceAll('\\', '/');
  return path.startsWith('.') ? path : `./${path}`;
}
