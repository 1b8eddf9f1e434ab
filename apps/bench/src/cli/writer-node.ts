/** The entry of a process that writes a text on a backend: a line of JSON on standard output for each piece. */
import process from 'node:process';
import { loadModel } from '@mamba/lm';
import { findBackend } from '../machine/backends.ts';

/** The request, as JSON in the only argument of the process. */
export interface WriteRequest {
  readonly backend: string;
  readonly options: readonly object[];
  readonly checkpoint: string;
  readonly generate: { readonly prompt: string; readonly maxTokens: number } & Readonly<
    Record<string, string | number>
  >;
}

/** A piece of text, and whether it is a token of its own; or `start`, once the model is loaded. */
export type Written = { readonly start: true } | { readonly text: string; readonly token: boolean };

const tell = (written: Written): void => void process.stdout.write(`${JSON.stringify(written)}\n`);

const { backend: name, options, checkpoint, generate } = JSON.parse(process.argv[2]!) as WriteRequest;
const { provider, record } = await findBackend(name, name, options);
if (provider === undefined) throw new Error(record.reason);
const backend = await provider.create();
const language = await loadModel(backend, checkpoint);
tell({ start: true });
for await (const { id, text } of language.generate(generate)) tell({ text, token: id !== undefined });
language.dispose();
await backend.dispose();
