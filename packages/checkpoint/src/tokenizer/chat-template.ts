import { damaged, list, show } from '../errors.ts';
import { leftOut, type WarningListener } from '../warnings.ts';

/**
 * The chat template out of what a `tokenizer_config.json`, a file of its own or a GGUF file has for one: a text, or
 * several by name, of which `default` is meant. Undefined where there is none, and, with a warning, where it is of no
 * known form.
 */
export function chosenTemplate(origin: string, given: unknown, onWarning: WarningListener): string | undefined {
  if (given === undefined || given === null) return undefined;
  const template = Array.isArray(given) ? given.find((entry) => nameOf(entry) === 'default')?.template : given;
  // A text without a place to fill in is an error page, or the name of a file: every message would become that text.
  if (typeof template === 'string' && /\{\{|\{%/.test(template)) return template;
  const names = Array.isArray(given) ? given.map(nameOf).filter((name) => name !== undefined) : [];
  const shown = template === undefined && names.length > 0 ? `templates named ${list(names)}` : show(template ?? given);
  onWarning(leftOut(origin, damaged(origin, shown, "a Jinja template, or a list of them with one named 'default'")));
  return undefined;
}

function nameOf(entry: unknown): string | undefined {
  const name = (entry as { readonly name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' ? name : undefined;
}
