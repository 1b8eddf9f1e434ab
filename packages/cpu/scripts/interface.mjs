// Reads assembly/ and writes src/generated/calls.ts and src/generated/exports.ts: the calls of the kernels, as types
// that host code is checked against.
//
// calls.ts has, for each operation of a program, the fields of its call and a function that writes them where the
// kernel reads them. An operation's call is the class that `execute` in assembly/program/commands.ts casts the command
// to. Enumerations that fields name are strings to the host (`MIXER_NORM` is 'mixerNorm'), a `Flag` is a boolean, and
// constants marked `// host` are exported as they are. exports.ts has the functions that assembly/index.ts exports.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript-api';

/** Each field is one word, so fields lie one after the other. */
const WORDS = ['usize', 'i32', 'u32', 'f32', 'Flag'];
/** Words between a command's call and its end. */
const CALL_WORDS = 48;
/** The class that a command begins with. */
const HEADER = 'CommandHeader';

/** @returns the text of each generated file by name */
export function interfaces(folder) {
  const sources = readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => {
      const file = join(folder, name);
      return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
    });
  return { 'calls.ts': callsOf(sources), 'exports.ts': exportsOf(sources, folder) };
}

function callsOf(sources) {
  const statements = sources.flatMap((source) => [...source.statements]);
  const named = (test) => new Map(statements.filter(test).map((node) => [node.name.text, node]));
  const classes = named(ts.isClassDeclaration);
  const enums = named(ts.isEnumDeclaration);
  const operations = operationsOf(named(ts.isFunctionDeclaration).get('execute'), classes);
  const written = new Set([HEADER, ...operations.values()]);
  const fields = new Map([...written].map((name) => [name, fieldsOf(classes.get(name), classes, enums)]));
  const usedEnums = new Set([...fields.values()].flat().flatMap(({ type }) => (enums.has(type) ? [type] : [])));

  const missing = enums.get('Operation').members.filter(({ name }) => !operations.has(camel(name.text)));
  if (missing.length > 0) fail(enums.get('Operation'), `execute has no case for ${missing[0].name.text}`);
  return [
    '// Generated from assembly/ by scripts/generate.mjs.\n',
    ...sources.flatMap(constantsOf),
    ...[...usedEnums].map((name) => enumText(enums.get(name))),
    ...[...written].map((name) => callText(classes.get(name), fields.get(name))),
    `/** The call of each operation. */\nexport interface Calls {\n${lines(operations, ([name, type]) => `  readonly ${name}: ${type};`)}\n}\n`,
    `/** Write a call from word \`at\` on: integers through one view of the memory, floats through the other. */
export const writeCall: {
  readonly [O in keyof Calls]: (words: Int32Array, floats: Float32Array, at: number, call: Calls[O]) => void;
} = {\n${lines(operations, ([name, type]) => `  ${name}: write${type},`)}\n};\n`,
  ].join('\n');
}

/** Returns, for each operation, the class that its case casts the command's call to. */
function operationsOf(execute, classes) {
  const found = new Map();
  visit(execute, (node) => {
    if (!ts.isCaseClause(node)) return;
    const casts = new Set();
    visit(node, (inner) => {
      if (ts.isCallExpression(inner) && inner.expression.getText() === 'changetype')
        casts.add(inner.typeArguments[0].getText());
    });
    const [type] = casts;
    if (casts.size !== 1 || !classes.has(type)) fail(node, 'a case must cast the call to one class');
    found.set(camel(node.expression.name.text), type);
  });
  return found;
}

/** The fields of a class, those that it inherits first, as the compiler lays them out. */
function fieldsOf(node, classes, enums) {
  const base = node.heritageClauses?.[0]?.types[0]?.expression.getText();
  const inherited = base === undefined ? [] : fieldsOf(classes.get(base), classes, enums);
  const own = node.members.map((member) => {
    const type = member.type.getText();
    if (!WORDS.includes(type) && !enums.has(type)) fail(member, `a field must be one word, not ${type}`);
    return { name: member.name.text, type, doc: docOf(member) };
  });
  const fields = [...inherited, ...own];
  if (fields.length > CALL_WORDS) fail(node, `it has ${fields.length} fields; a command has room for ${CALL_WORDS}`);
  return fields;
}

function callText(node, fields) {
  const type = node.name.text;
  const host = ({ type }) => ({ Flag: 'boolean' })[type] ?? (WORDS.includes(type) ? 'number' : type);
  const value = ({ name, type }) => {
    if (type === 'Flag') return `call.${name} ? 1 : 0`;
    return WORDS.includes(type) ? `call.${name}` : `${type}[call.${name}]`;
  };
  const place = (index) => (index === 0 ? 'at' : `at + ${index}`);
  return `${docOf(node)}export interface ${type} {
${lines(fields, (field) => `${indented(field.doc)}  readonly ${field.name}: ${host(field)};`)}
}

${type === HEADER ? 'export ' : ''}function write${type}(words: Int32Array, floats: Float32Array, at: number, call: ${type}): void {
${lines(fields, (field, index) => `  ${field.type === 'f32' ? 'floats' : 'words'}[${place(index)}] = ${value(field)};`)}
}
`.replace('floats: Float32Array', (view) => (fields.some(({ type }) => type === 'f32') ? view : `_${view}`));
}

function enumText(node) {
  if (node.members.some(({ initializer }) => initializer)) fail(node, 'its members must be 0, 1, 2 …');
  const name = node.name.text;
  const members = node.members.map((member, index) => `${camel(member.name.text)}: ${index}`);
  return `${docOf(node)}export const ${name} = { ${members.join(', ')} } as const;\nexport type ${name} = keyof typeof ${name};\n`;
}

/**
 * Returns the constants `export const NAME = …; // host`, whose value is a number or is made of other constants of the
 * file.
 */
function constantsOf(source) {
  const values = new Map();
  const texts = [];
  for (const node of source.statements) {
    if (!ts.isVariableStatement(node)) continue;
    const [{ name, initializer }] = node.declarationList.declarations;
    const value = numberOf(initializer, values);
    if (value !== undefined) values.set(name.text, value);
    if (!source.text.slice(node.end).startsWith(' // host\n')) continue;
    if (value === undefined) fail(node, 'a constant for the host must be a number');
    texts.push(`${docOf(node)}export const ${name.text} = ${value};\n`);
  }
  return texts;
}

function numberOf(node, values) {
  if (ts.isNumericLiteral(node)) return Number(node.text);
  if (ts.isIdentifier(node)) return values.get(node.text);
  if (!ts.isBinaryExpression(node)) return undefined;
  const [left, right] = [numberOf(node.left, values), numberOf(node.right, values)];
  if (left === undefined || right === undefined) return undefined;
  if (node.operatorToken.kind === ts.SyntaxKind.PlusToken) return left + right;
  if (node.operatorToken.kind === ts.SyntaxKind.AsteriskToken) return left * right;
  return undefined;
}

function exportsOf(sources, folder) {
  const index = sources.find(({ fileName }) => fileName === join(folder, 'index.ts'));
  const functions = index.statements.flatMap((node) => {
    if (ts.isFunctionDeclaration(node)) return [node];
    if (!ts.isExportDeclaration(node)) return [];
    const file = join(dirname(index.fileName), `${node.moduleSpecifier.text}.ts`);
    const source = sources.find(({ fileName }) => fileName === file);
    return node.exportClause.elements.map(({ name }) =>
      source.statements.find((other) => ts.isFunctionDeclaration(other) && other.name.text === name.text),
    );
  });
  const type = (node) => ({ void: 'void', bool: 'boolean', Flag: 'boolean' })[node.getText()] ?? 'number';
  const methods = functions.map((node) => {
    const parameters = node.parameters.map((parameter) => `${parameter.name.text}: ${type(parameter.type)}`);
    const result = node.type.getText() === 'void' ? 'void' : 'number';
    return `${indented(docOf(node))}  ${node.name.text}(${parameters.join(', ')}): ${result};`;
  });
  return `// Generated from assembly/index.ts by scripts/generate.mjs.

/**
 * Exports of the compiled module. Addresses, strides in bytes, extents and results are all numbers here, since
 * WebAssembly takes addresses above 2 GiB modulo 2^32.
 */
export interface KernelExports {
${methods.join('\n')}
}

export const KERNEL_NAMES: readonly (keyof KernelExports)[] = [
${lines(functions, ({ name }) => `  '${name.text}',`)}
];
`;
}

/** The doc comment right before a node, with a line break behind it; empty where there is none. */
function docOf(node) {
  const doc = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).at(-1)?.getText().replace(/^ +\*/gm, ' *');
  return doc === undefined ? '' : `${doc}\n`;
}

function indented(text) {
  return text.replace(/^(?=.)/gm, '  ');
}

function lines(items, text) {
  return [...items].map(text).join('\n');
}

function camel(name) {
  return name.toLowerCase().replace(/_(.)/g, (_, letter) => letter.toUpperCase());
}

function visit(node, action) {
  action(node);
  ts.forEachChild(node, (child) => visit(child, action));
}

function fail(node, why) {
  throw new Error(`${node.getSourceFile().fileName}: ${node.name?.getText() ?? node.getText()}: ${why}`);
}
