import { decodeSnapshot, decodeSnapshotHeader, encodeSnapshot, MambaError, type Model } from '@mamba/core';
import type { SequenceState } from '../generate/decoder/sequence.ts';

/** Number of past ids that a session keeps beside the state: the largest window of the penalties in a session. */
export const RECENT = 1024;

/** All that a session holds of its sequence. `pending` is empty only if the session is. */
export interface SessionState extends SequenceState {
  /** The last ids of the sequence, at most `RECENT`, pending ones included. */
  readonly recent: readonly number[];
  /** Number of all ids so far, pending ones included. */
  readonly length: number;
  /** Where the random numbers of the last generation stand, for one that goes on with them. */
  readonly random?: RandomPosition | undefined;
}

export interface RandomPosition {
  readonly seed: number;
  /** How many numbers of this seed were drawn: one for each token. */
  readonly drawn: number;
}

export const EMPTY: SessionState = { state: undefined, pending: [], recent: [], length: 0 };

/** Encodes a session for `loadSessionState`. @throws what the backend throws. */
export async function saveSessionState(
  model: Model,
  fingerprint: string,
  { state, pending, recent, length, random }: SessionState,
): Promise<Uint8Array> {
  const exported = state ?? model.zeroState();
  try {
    const snapshot = await model.exportState(exported);
    return encodeSnapshot({ ...snapshot, fingerprint, extra: { pending, recent, length, random } });
  } finally {
    if (exported !== state) exported.dispose();
  }
}

/**
 * Decodes a saved session.
 * @returns its state, the caller's to dispose.
 * @throws MambaError `invalid-file` if the bytes are damaged or hold no session, `foreign` if they were saved with
 * another model.
 */
export function loadSessionState(model: Model, fingerprint: string, bytes: Uint8Array): SessionState {
  const snapshot = decodeSnapshot(bytes);
  return { ...checkSession(model, fingerprint, snapshot), state: model.importState(snapshot) };
}

/** The `length` of a saved session, whose state is not loaded. @throws as `loadSessionState`. */
export function savedSessionLength(model: Model, fingerprint: string, bytes: Uint8Array): number {
  return checkSession(model, fingerprint, decodeSnapshotHeader(bytes)).length;
}

/** What a saved session has beside its state. */
function checkSession(
  { config: { vocabSize } }: Model,
  fingerprint: string,
  header: ReturnType<typeof decodeSnapshotHeader>,
): Omit<SessionState, 'state'> {
  if (header.fingerprint !== undefined && header.fingerprint !== fingerprint)
    throw new MambaError('foreign', 'the session belongs to another model', {
      origin: 'loadSession',
      given: `a session of model ${String(header.fingerprint)}`,
      expected: `one of model ${fingerprint}`,
      remedy: 'Load it with the model that it was saved from.',
    });
  const { pending, recent, length, random } = (header.extra ?? {}) as Readonly<Record<string, unknown>>;
  const position = header.positions[0]!;
  const valid =
    header.fingerprint !== undefined &&
    header.batch === 1 &&
    isIds(pending, vocabSize) &&
    isIds(recent, vocabSize) &&
    recent.length <= RECENT &&
    length === position + pending.length &&
    (position === 0 || pending.length > 0) &&
    isRandomPosition(random);
  if (!valid)
    throw new MambaError('invalid-file', 'the bytes are no saved session', {
      origin: 'loadSession',
      expected: 'what session.save() gave',
    });
  return { pending, recent, length, random };
}

/** Copies the model's state too. */
export function copySessionState(model: Model, session: SessionState): SessionState {
  return { ...session, state: session.state && model.cloneState(session.state) };
}

function isRandomPosition(value: unknown): value is RandomPosition | undefined {
  if (value === undefined) return true;
  const { seed, drawn } = (value ?? {}) as Readonly<Record<string, unknown>>;
  return Number.isSafeInteger(seed) && Number.isSafeInteger(drawn) && (drawn as number) >= 0;
}

function isIds(value: unknown, vocabSize: number): value is readonly number[] {
  return Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0 && id < vocabSize);
}
