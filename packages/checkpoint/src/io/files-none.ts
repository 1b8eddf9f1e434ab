/** Replaces files-node.ts where there is no file system. The `imports` of package.json choose between them. */
import { MambaError } from '@mamba/core';
import type { ByteSink, FolderSink, SinkOptions } from './byte-sink.ts';
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

export async function createFile(path: string | URL, _options?: SinkOptions): Promise<ByteSink> {
  throw noFiles(path);
}

export async function createFolder(path: string | URL, _options?: SinkOptions): Promise<FolderSink> {
  throw noFiles(path);
}

export async function recoverFolder(path: string | URL): Promise<void> {
  throw noFiles(path);
}

export function joinPath(directory: string | URL, name: string): string {
  return `${directory}/${name}`;
}

export function ownerStamp(): string {
  throw noFiles('ownerStamp');
}

export function isAbandoned(stamp: string): boolean {
  throw noFiles(stamp);
}

export function temporaryPath(target: string): string {
  throw noFiles(target);
}

export async function removeAbandoned(folder: string, _target?: string): Promise<void> {
  throw noFiles(folder);
}

function noFiles(path: string | URL): MambaError {
  return new MambaError('unavailable', 'there is no file system here', {
    origin: String(path),
    remedy: 'Give an http(s) address or File objects.',
  });
}
