import { isMambaError } from '@mamba/core';
import { errorWords } from '../error-words.ts';
import { SHIPPED } from '../source.ts';

const MODEL_MISSING = `The folder “${SHIPPED.slice(0, -1)}” has to lie beside this page, as it was built. Put it there, and try again.`;

/** What readers do about an error here, where its own remedy is for programs. */
export const REMEDIES = {
  io: MODEL_MISSING,
  'invalid-file': MODEL_MISSING,
  'device-lost': 'Load the page again.',
  unavailable: 'Open the page in a newer browser.',
  'not-finite': 'Start again.',
};

/** A part of the page that does one thing at a time, which can be stopped, and has an error of its own. */
export abstract class Section {
  busy = false;
  error: string | undefined;
  /** Called after every change. */
  protected readonly changed: () => void;
  #aborter: AbortController | undefined;

  constructor(changed: () => void) {
    this.changed = changed;
  }

  stop(): void {
    this.#aborter?.abort();
  }

  dismissError(): void {
    this.error = undefined;
    this.changed();
  }

  /** Does something, if nothing else is done. What was stopped is no error. */
  protected async run(act: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.error = undefined;
    this.#aborter = new AbortController();
    this.changed();
    try {
      await act(this.#aborter.signal);
    } catch (error) {
      if (!isMambaError(error, 'aborted')) this.error = errorWords(error, REMEDIES);
    }
    this.busy = false;
    this.changed();
  }
}
