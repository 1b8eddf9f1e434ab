import type { ByteSource } from '@mamba/checkpoint';

/** A file of a repository at one commit. */
export interface HubFile {
  readonly name: string;
  readonly size: number;
  /** Of the content: its SHA-256 in 64 hex digits, or git's SHA-1 of it as a blob in 40. */
  readonly hash: string;
}

/** Where files of the hub are kept, by commit. What it gives was checked when it came. */
export interface HubCache {
  /** The commit that a revision was when it was last asked for; undefined where that is not known. */
  commitOf(revision: string): Promise<string | undefined>;
  setCommit(revision: string, commit: string): Promise<void>;
  /** Names of the files that are here. */
  list(commit: string): Promise<readonly string[]>;
  open(commit: string, file: string): Promise<ByteSource | undefined>;
  /** Whether the repository is known to have no such file. */
  isAbsent(commit: string, file: string): Promise<boolean>;
  setAbsent(commit: string, file: string): Promise<void>;
  /** Goes on where an earlier download of the same content was left. */
  download(commit: string, file: HubFile): Promise<Download>;
}

/** A file on its way into the cache; ended by `finish` or `leave`. */
export interface Download {
  /** Bytes that are here. */
  readonly received: number;
  write(bytes: Uint8Array): Promise<void>;
  /** Throws away what is here. */
  restart(): Promise<void>;
  /**
   * Checks the content and puts it in its place. @throws MambaError `invalid-file` where it is not what was announced;
   * it is gone then.
   */
  finish(): Promise<void>;
  /** Keeps what is here for the next time; never throws. */
  leave(): Promise<void>;
}
