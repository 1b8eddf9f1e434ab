// Turns shaders/*.wgsl into src/generated/*.ts: the text, its bindings and the layout of its uniforms, as types that
// host code is checked against. Texts of library files go to libraries.ts once, however many shaders link them.
//
// A shader names the library files that it links in comments, `// link: math, collect-{workgroup,subgroup}`; braces
// name alternatives, of which the host picks one. A library may name others in the same way, without alternatives.
// `const NAME: u32 = 4u; // constant` may be replaced by the host as the pipeline is made (WGSL sizes no function-local
// array by an override); everything else that varies is an `override` or a uniform. A binding marked `// with NAME` is
// bound where the constant NAME is not 0: a storage buffer beyond the eight that browsers promise. The text uses it
// only in loops that run NAME times, and are written out. A loop marked `// unroll` is written out by the host: see
// `textOf` in src/gpu/shader.ts.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const shaders = join(root, 'shaders');
const target = join(root, 'src', 'generated');

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });

const ENABLE = /^enable .+;$/gm;

const stems = stemsIn(shaders);
const libraries = Object.fromEntries(
  stemsIn(join(shaders, 'lib')).map((stem) => [stem, readFileSync(join(shaders, 'lib', `${stem}.wgsl`), 'utf8')]),
);

writeFileSync(
  join(target, 'libraries.ts'),
  `// Generated from shaders/lib by scripts/generate.mjs.
${Object.entries(libraries)
  .map(([stem, text]) => `export const ${camel(stem)}: string = ${JSON.stringify(shipped(text))};`)
  .join('\n')}
`,
);
for (const stem of stems) writeFileSync(join(target, `${stem}.ts`), generate(stem));
writeFileSync(
  join(target, 'index.ts'),
  `${stems.map((stem) => `export { ${camel(stem)} } from './${stem}.ts';`).join('\n')}\n`,
);
console.log(`${stems.length} shaders`);

function stemsIn(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.wgsl'))
    .map((name) => name.slice(0, -'.wgsl'.length))
    .sort();
}

function camel(stem) {
  return stem.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
}

function generate(stem) {
  const text = readFileSync(join(shaders, `${stem}.wgsl`), 'utf8');
  const links = linked(text);
  const codes = Object.values(links).map(({ code }) => code);
  const reflected = Object.entries(links).map(([name, { code }]) => [name, reflect(stem, name, code)]);
  const [, first] = reflected[0];
  for (const [name, other] of reflected) {
    if (JSON.stringify(other) !== JSON.stringify(first))
      fail(stem, `its link ${name} binds other things than the first`);
  }
  const { bindings, optional, uniforms, overrides } = first;
  const constants = codes.flatMap((code) =>
    [...code.matchAll(/^const (\w+): u32 = \d+u; \/\/ constant/gm)].map((match) => match[1]),
  );
  const texts = Object.entries(links).map(
    ([name, { enables, parts }]) =>
      `    ${JSON.stringify(name)}: [${[
        ...enables.map((line) => JSON.stringify(line)),
        'text',
        ...parts.map((part) => `libraries.${camel(part)}`),
      ].join(', ')}].join('\\n'),`,
  );
  const described = { stem, bindings, optional, uniforms, overrides, constants: [...new Set(constants)] };
  const names = (list) => (list.length === 0 ? 'never' : list.map((name) => `'${name}'`).join(' | '));
  return `// Generated from shaders/${stem}.wgsl by scripts/generate.mjs.
import type { Shader } from '../gpu/shader.ts';
${Object.values(links).some(({ parts }) => parts.length > 0) ? "import * as libraries from './libraries.ts';\n" : ''}
const text = ${JSON.stringify(shipped(text))};

export const ${camel(stem)}: Shader<
  ${names([...bindings, ...optional].map(({ name }) => name))},
  ${names(uniforms.fields.map(({ name }) => name))},
  ${names(overrides)},
  ${names([...new Set(constants)])},
  ${names(Object.keys(links))}
> = {
${Object.entries(described)
  .map(([key, value]) => `  ${key}: ${JSON.stringify(value)},`)
  .join('\n')}
  links: {
${texts.join('\n')}
  },
};
`;
}

/**
 * Returns the whole text for the name of each alternative, the libraries that follow the shader's own text in it, and
 * the directives before them. With several braces, a name has one alternative of each, joined by dashes.
 */
function linked(text) {
  let variants = [{ name: [], parts: [] }];
  for (const entry of linkedIn(text)) {
    const choices = /\{(.+)\}/.exec(entry)?.[1].split(/,\s*/);
    variants = variants.flatMap(({ name, parts }) =>
      choices === undefined
        ? [{ name, parts: [...parts, entry.trim()] }]
        : choices.map((choice) => ({
            name: [...name, choice],
            parts: [...parts, entry.replace(/\{.+\}/, choice).trim()],
          })),
    );
  }
  return Object.fromEntries(
    variants.map(({ name, parts }) => {
      const all = [...new Set(parts.flatMap(withLinked))];
      const texts = [text, ...all.map((part) => libraries[part])];
      // WGSL wants directives first.
      const enables = [...new Set(texts.flatMap((each) => each.match(ENABLE) ?? []))];
      const code = [...enables, ...texts.map((each) => each.replace(ENABLE, ''))].join('\n');
      return [name.join('-') || 'default', { code, parts: all, enables }];
    }),
  );
}

/** The entries of the comments that name libraries. */
function linkedIn(text) {
  return [...text.matchAll(/^\/\/ link: (.+)$/gm)].flatMap(([, line]) => line.split(/,\s*(?![^{]*})/));
}

/** A library, after those that it links itself. */
function withLinked(part) {
  if (libraries[part] === undefined) throw new Error(`there is no library ${part}`);
  return [...linkedIn(libraries[part]).flatMap(withLinked), part];
}

/** The text that is shipped: without directives, which the shaders that link it have. */
function shipped(text) {
  return withoutComments(text.replace(ENABLE, ''));
}

/** Removes comments from the text that is shipped, except a loop's `// unroll`, which is for the host. */
function withoutComments(code) {
  return code.replace(/\s*\/\/(?! unroll$).*$/gm, '').replace(/^\s*\n/gm, '');
}

function reflect(stem, link, code) {
  let module;
  try {
    module = new WgslReflect(withoutMatrices(code));
  } catch (error) {
    return fail(stem, `link ${link} does not parse: ${error}`);
  }
  if (module.entry.compute.length !== 1 || module.entry.compute[0].name !== 'main')
    fail(stem, 'it must have one entry point, main');
  const marks = new Map(
    [...code.matchAll(/^@group.+> (\w+): .+; \/\/ with (\w+)\b/gm)].map(([, name, constant]) => [name, constant]),
  );
  const storage = module.storage
    .map(({ name, group, binding, access }) => {
      if (group !== 0) fail(stem, `${name} is not in group 0`);
      return { name, binding, writable: access === 'read_write' };
    })
    .sort((a, b) => a.binding - b.binding);
  const bindings = storage.filter(({ name }) => !marks.has(name));
  const optional = storage
    .filter(({ name }) => marks.has(name))
    .map((binding) => ({ ...binding, constant: marks.get(binding.name) }));
  // Browsers promise 8 storage buffers a stage; where there are more, the host may bind the optional ones.
  if (bindings.length > 8) fail(stem, `it binds ${bindings.length} storage buffers; 8 are promised`);
  const [uniform, ...more] = module.uniforms;
  if (more.length > 0) fail(stem, 'it has more than one uniform block');
  if (uniform !== undefined && (uniform.group !== 0 || uniform.binding !== 0))
    fail(stem, 'its uniforms are not binding 0');
  const fields = (uniform?.members ?? []).map(({ name, offset, type }) => {
    if (!['u32', 'i32', 'f32'].includes(type.name)) fail(stem, `uniform ${name} is ${type.name}, not a 32-bit scalar`);
    return { name, offset, type: type.name };
  });
  const taken = new Set();
  for (const { binding } of [...storage, ...(uniform === undefined ? [] : [uniform])]) {
    if (taken.has(binding)) fail(stem, `binding ${binding} is taken twice`);
    taken.add(binding);
  }
  const size = Math.ceil((uniform?.size ?? 0) / 16) * 16;
  return { bindings, optional, uniforms: { size, fields }, overrides: module.overrides.map(({ name }) => name) };
}

/** Replaces subgroup matrices, which wgsl_reflect does not know, by other matrices, since only interfaces are read. */
function withoutMatrices(code) {
  return code
    .replace(/subgroup_matrix_\w+<.+?>/g, 'mat4x4f')
    .replace(/(subgroupMatrix\w+)<[^(]+>\(/g, '$1(')
    .replace(/^diagnostic\(.+\);$/gm, '');
}

function fail(stem, why) {
  throw new Error(`shaders/${stem}.wgsl: ${why}`);
}
