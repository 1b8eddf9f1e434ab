import { damaged, list, show } from '../errors.ts';
import { leftOutWarning, type WarningListener } from '../warnings.ts';

/**
 * The chat template from the value in a `tokenizer_config.json`, in a file of its own or in a GGUF file: a text, or
 * several texts by name, of which `default` is taken. Undefined where there is none, and, with a warning, where the
 * value has another form.
 */
export function chosenTemplate(origin: string, given: unknown, onWarning: WarningListener): string | undefined {
  if (given === undefined || given === null) return undefined;
  const template = Array.isArray(given) ? given.find((entry) => nameOf(entry) === 'default')?.template : given;
  // A text without a placeholder is an error page or the name of a file. With it, every message would become that text.
  if (typeof template === 'string' && /\{\{|\{%/.test(template)) return template;
  const names = Array.isArray(given) ? given.map(nameOf).filter((name) => name !== undefined) : [];
  const shown = template === undefined && names.length > 0 ? `templates named ${list(names)}` : show(template ?? given);
  onWarning(
    leftOutWarning(origin, damaged(origin, shown, "a Jinja template, or a list of them with one named 'default'")),
  );
  return undefined;
}

function nameOf(entry: unknown): string | undefined {
  const name = (entry as { readonly name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' ? name : undefined;
}
