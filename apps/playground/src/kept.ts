import type { MarkedPlace, TokenTime, Transcript } from './branch.ts';

/** A branch as data: what a page needs to open it again. */
export interface KeptBranch extends Transcript {
  readonly id: number;
  readonly name: string;
  /** The session, saved. */
  readonly saved: Uint8Array;
  readonly places: readonly MarkedPlace[];
  readonly times: readonly TokenTime[];
  /** The branch that it comes from, by its id. */
  readonly origin: { readonly parent: number; readonly length: number } | undefined;
}

/** The branches of one model that a browser keeps for the next visit. */
export interface Kept {
  /** The model's own, so that no other one reads its states. */
  readonly fingerprint: string;
  /** The id of the branch that is shown. */
  readonly shown: number;
  readonly branches: readonly KeptBranch[];
}

const DATABASE = 'mamba-playground';
const STORE = 'branches';

/** Keeps branches in IndexedDB, in place of those that were kept of this model; none where the list is empty. */
export function keep(kept: Kept): Promise<unknown> {
  return inStore('readwrite', (store) =>
    kept.branches.length === 0 ? store.delete(kept.fingerprint) : store.put(kept),
  );
}

export async function recall(fingerprint: string): Promise<Kept | undefined> {
  return (await inStore('readonly', (store) => store.get(fingerprint))) as Kept | undefined;
}

async function inStore(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: 'fingerprint' });
  const database = (await settled(opening)) as IDBDatabase;
  try {
    const transaction = database.transaction(STORE, mode);
    const result = await settled(act(transaction.objectStore(STORE)));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    return result;
  } finally {
    database.close();
  }
}

function settled(request: IDBRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
