/** Hands bytes to the user as a file. */
export function download(bytes: Uint8Array, name: string): void {
  const address = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]));
  const link = Object.assign(document.createElement('a'), { href: address, download: name });
  link.click();
  // A task later the download holds the blob itself.
  setTimeout(() => URL.revokeObjectURL(address));
}
