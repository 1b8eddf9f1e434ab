/** Stands for files-node.ts where there is no file system; chosen by package.json's `imports`. */
import { MambaError } from '@mamba/core';
import type { ByteSink, FolderSink } from './byte-sink.ts';
import type { ByteSource } from './byte-source.ts';

export async function openFile(path: string | URL): Promise<ByteSource> {
  throw noFiles(path);
}

export async function openFileIfPresent(path: string | URL): Promise<ByteSource | undefined> {
  throw noFiles(path);
}

export async function listFiles(directory: string | URL): Promise<readonly string[]> {
  throw noFiles(directory);
}

export async function createFile(path: string | URL): Promise<ByteSink> {
  throw noFiles(path);
}

export async function createFolder(path: string | URL): Promise<FolderSink> {
  throw noFiles(path);
}

export function joinPath(directory: string | URL, name: string): string {
  return `${directory}/${name}`;
}

function noFiles(path: string | URL): MambaError {
  return new MambaError('unavailable', 'there is no file system here', {
    origin: String(path),
    remedy: 'Give an http(s) address or File objects.',
  });
}
