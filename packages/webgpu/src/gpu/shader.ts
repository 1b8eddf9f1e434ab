/**
 * A WGSL module, as scripts/generate.mjs describes it. The type parameters are the names of its bindings, uniforms,
 * overrides, constants and link alternatives, so that the compiler checks every dispatch against the shader.
 */
export interface Shader<
  B extends string = string,
  U extends string = string,
  O extends string = string,
  C extends string = string,
  L extends string = string,
> {
  readonly stem: string;
  /** Storage buffers, by binding; binding 0 is the uniform block where there is one. */
  readonly bindings: readonly Binding<B>[];
  /** More, which a pipeline has where their constant is not 0, since a browser promises eight storage buffers. */
  readonly optional: readonly (Binding<B> & { readonly constant: C })[];
  readonly uniforms: {
    readonly size: number;
    readonly fields: readonly { readonly name: U; readonly offset: number; readonly type: 'u32' | 'i32' | 'f32' }[];
  };
  readonly overrides: readonly O[];
  readonly constants: readonly C[];
  /** The module's whole text, for each link alternative. */
  readonly links: Readonly<Record<L, string>>;
}

export interface Binding<B extends string = string> {
  readonly name: B;
  readonly binding: number;
  readonly writable: boolean;
}

/** The bindings of a pipeline with these constants. */
export function bindingsOf<B extends string, C extends string>(
  { bindings, optional }: Pick<Shader<B, string, string, C>, 'bindings' | 'optional'>,
  constants: Readonly<Partial<Record<C, number>>> | undefined,
): readonly Binding<B>[] {
  const bound = optional.filter(({ constant }) => constants?.[constant]);
  return bound.length > 0 ? [...bindings, ...bound] : bindings;
}

/** The offsets of bindings are multiples of this, as every device takes them. */
export const ALIGNMENT = 256;

/** A part of a buffer, in bytes. The offset is a multiple of `ALIGNMENT`. */
export interface BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** The values that make a pipeline of a shader. */
export interface Specialisation<O extends string, C extends string, L extends string> {
  readonly overrides?: Readonly<Partial<Record<O, number | boolean>>> | undefined;
  readonly constants?: Readonly<Partial<Record<C, number>>> | undefined;
  readonly link?: L | undefined;
}

export interface Dispatch<B extends string, U extends string, O extends string, C extends string, L extends string>
  extends Specialisation<O, C, L> {
  readonly bindings: Readonly<Record<B, BufferRange>>;
  readonly uniforms: Readonly<Record<U, number>>;
  readonly workgroups: readonly [x: number, y?: number, z?: number];
}

/** The label of a pipeline: `linear FORMAT=1 ALIGNED=true`. */
export function labelOf<O extends string, C extends string, L extends string>(
  shader: Shader<string, string, O, C, L>,
  { overrides, constants, link }: Specialisation<O, C, L>,
): string {
  let label = link === undefined || link === 'default' ? shader.stem : `${shader.stem}/${link}`;
  for (const [name, value] of Object.entries<unknown>({ ...constants, ...overrides })) label += ` ${name}=${value}`;
  return label;
}

/** The module's text with constants replaced and the marked loops written out. It is valid WGSL before and after. */
export function textOf<C extends string, L extends string>(
  shader: Shader<string, string, string, C, L>,
  { constants, link }: Specialisation<string, C, L>,
): string {
  let text: string = shader.links[link ?? ('default' as L)];
  for (const [name, value] of Object.entries<unknown>(constants ?? {})) {
    text = text.replace(new RegExp(`^(const ${name}: u32 = )\\d+u;`, 'm'), `$1${value}u;`);
  }
  return unrolled(text, text.split('\n'));
}

const LOOP = /^( *)for \(var (\w+) = 0u; \2 < (\w+); \2\+\+\) \{ \/\/ unroll$/;

/**
 * Writes `for (var i = 0u; i < N; i++) { // unroll` out N times, where N is a number or a constant. Arrays stay in
 * registers only where no index is variable; drivers unroll small loops by themselves, not those that matter, and WGSL
 * has no way to ask for it.
 */
function unrolled(text: string, lines: readonly string[]): string {
  const start = lines.findIndex((line) => LOOP.test(line));
  if (start < 0) return lines.join('\n');
  const [, indent, name, bound] = LOOP.exec(lines[start]!) as unknown as [string, string, string, string];
  const end = lines.indexOf(`${indent}}`, start);
  const body = lines.slice(start + 1, end);
  const result = lines.slice(0, start);
  for (let index = 0; index < numberOf(text, bound); index++) {
    const use = new RegExp(`\\b${name}\\b`, 'g');
    result.push(`${indent}{`, ...body.map((line) => line.replace(use, `${index}u`)), `${indent}}`);
  }
  return unrolled(text, [...result, ...lines.slice(end + 1)]);
}

function numberOf(text: string, bound: string): number {
  return Number.parseInt(
    /^\d/.test(bound) ? bound : new RegExp(`^const ${bound}: u32 = (\\d+)u;`, 'm').exec(text)![1]!,
    10,
  );
}
