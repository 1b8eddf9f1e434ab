import type { ByteSource } from '@mamba/checkpoint';

/** A file of a repository at one commit. */
export interface HubFile {
  /** Its path in the repository. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** The SHA-256 of its content (64 hex digits), or git's SHA-1 of the content as a blob (40 hex digits). */
  readonly hash: string;
}

/** A cache for files of one repository, by commit. Files are checked when they are downloaded. */
export interface HubCache {
  /** The commit of a revision when it was last requested; undefined if unknown. */
  commitOf(revision: string): Promise<string | undefined>;
  setCommit(revision: string, commit: string): Promise<void>;
  /** Paths of the cached files. */
  list(commit: string): Promise<readonly string[]>;
  /** Undefined if the file is not cached. */
  open(commit: string, file: string): Promise<ByteSource | undefined>;
  /** Whether the repository is known not to have the file. */
  isAbsent(commit: string, file: string): Promise<boolean>;
  setAbsent(commit: string, file: string): Promise<void>;
  /** Starts a download, or resumes an earlier one of the same content. */
  download(commit: string, file: HubFile): Promise<Download>;
}

/** A download into the cache, ended by `finish` or `leave`. */
export interface Download {
  /** Bytes received so far, in earlier downloads too. */
  readonly received: number;
  write(bytes: Uint8Array): Promise<void>;
  /** Discards the received bytes. */
  restart(): Promise<void>;
  /**
   * Checks the content and adds the file to the cache.
   * @throws MambaError `invalid-file` if the content does not have the expected size and hash; it is discarded then.
   */
  finish(): Promise<void>;
  /** Keeps the received bytes for a later download. Never throws. */
  leave(): Promise<void>;
}
