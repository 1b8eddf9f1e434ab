/** Hands bytes or a blob to the user as a file. */
export function download(content: Uint8Array | Blob, name: string): void {
  const address = URL.createObjectURL(
    content instanceof Blob ? content : new Blob([content as Uint8Array<ArrayBuffer>]),
  );
  const link = Object.assign(document.createElement('a'), { href: address, download: name });
  link.click();
  // A task later the download holds the blob itself.
  setTimeout(() => URL.revokeObjectURL(address));
}
