import { isMambaError } from '@mamba/core';
import type { WorkerLanguageModel, WorkerSession } from '@mamba/lm/worker';
import type { Branch } from './branch.ts';

export type GenerateOptions = NonNullable<Parameters<WorkerSession['generate']>[0]>;

/** Tokens that are written where nothing else is said. */
export const DEFAULT_TOKENS = 120;

export interface WritingListeners {
  /** Called with each token: how many there are, and the times between which it came. */
  readonly onToken: (tokens: number, since: number, now: number) => void;
  /** Called after each change of the branch. */
  readonly onChange: () => void;
}

/**
 * Has a branch go on, to its end or until it is stopped by the signal.
 * @returns how many tokens were written, and why no more.
 */
export async function write(
  lm: WorkerLanguageModel,
  branch: Branch,
  options: GenerateOptions,
  { onToken, onChange }: WritingListeners,
): Promise<{ readonly tokens: number; readonly reason: string }> {
  const before = branch.session.length;
  let since = performance.now();
  let tokens = 0;
  let reason = 'stopped';
  try {
    for await (const { id, text, finishReason } of branch.session.generate(options)) {
      reason = finishReason === 'stop' ? 'the model ended it' : 'that many were asked for';
      branch.add('written', lm.info.hasTokenizer || id === undefined ? text : `${id} `, id === undefined ? [] : [id]);
      if (id !== undefined) {
        const now = performance.now();
        branch.ahead = ++tokens;
        onToken(tokens, since, now);
        since = now;
      }
      // The session tells of these tokens by now.
      if (finishReason !== undefined) branch.ahead = 0;
      onChange();
    }
  } catch (error) {
    if (!isMambaError(error, 'aborted')) throw error;
    reason = 'stopped';
  } finally {
    branch.ahead = 0;
  }
  // An empty session begins with a special token of the checkpoint.
  const first = lm.info.specialTokens.bos ?? lm.info.specialTokens.eos[0];
  if (before === 0 && branch.session.length === tokens + 1 && first !== undefined)
    branch.transcript = { ...branch.transcript, ids: [first, ...branch.transcript.ids] };
  return { tokens, reason };
}
