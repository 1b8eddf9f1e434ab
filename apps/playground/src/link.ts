import type { Weights } from './model.ts';
import { INITIAL_SAMPLING, type SamplingFields } from './sampling.ts';
import type { Source } from './source.ts';

/** What a link to the page holds: the model, the text and how to sample. */
export interface Setting {
  /** The shipped model, one of the hub, or one at an address; files cannot be linked to. */
  readonly source: Exclude<Source, { readonly kind: 'files' }> | undefined;
  readonly weights: Weights | undefined;
  readonly prompt: string | undefined;
  readonly fields: SamplingFields;
}

/** Longest text that a link holds; longer ones are left out, since hosts refuse long addresses. */
const LONGEST_PROMPT = 2000;

const WEIGHTS: readonly string[] = ['float32', 'stored', 'float16', 'bfloat16', 'q8', 'q4'] satisfies Weights[];

/** The address of the page with a setting behind `#`, where no server sees it. */
export function linkOf({ source, weights, prompt, fields }: Setting, page: string): string {
  const values = new URLSearchParams();
  if (source !== undefined && source.kind !== 'shipped')
    values.set(source.kind, source.kind === 'hub' ? source.id : source.url);
  if (weights !== undefined && weights !== 'float32') values.set('weights', weights);
  if (prompt !== undefined && prompt.length <= LONGEST_PROMPT) values.set('prompt', prompt);
  for (const [name, value] of Object.entries(fields))
    if (value !== INITIAL_SAMPLING[name as keyof SamplingFields]) values.set(name, value);
  const { origin, pathname } = new URL(page);
  return `${origin}${pathname}#${values}`;
}

/** Reads what is behind `#` of an address. What it does not know it leaves out. */
export function settingOf(hash: string): Setting {
  const values = new URLSearchParams(hash.replace(/^#/, ''));
  const [hub, url, weights] = [values.get('hub'), values.get('url'), values.get('weights')];
  const fields = Object.entries(INITIAL_SAMPLING).map(([name, initial]) => {
    const value = values.get(name);
    return [name, value !== null && (value === '' || Number.isFinite(Number(value))) ? value : initial];
  });
  return {
    source: hub !== null ? { kind: 'hub', id: hub } : url !== null ? { kind: 'url', url } : undefined,
    weights: weights !== null && WEIGHTS.includes(weights) ? (weights as Weights) : undefined,
    prompt: values.get('prompt') ?? undefined,
    fields: Object.fromEntries(fields) as SamplingFields,
  };
}
