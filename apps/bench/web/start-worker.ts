/** Hears a worker, from its messages to the failure of its start. Each run has a worker of its own. */
export function hearWorker<Notice>(
  worker: Worker,
  { hear, fail }: { hear(notice: Notice): void; fail(message: string): void },
): void {
  worker.onmessage = ({ data }: MessageEvent<Notice>) => hear(data);
  worker.onerror = ({ message }) =>
    fail(message || 'the worker did not start: check the connection, and load the page again');
}

/** Hands a text to the reader as a file. */
export function saveFile(name: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
