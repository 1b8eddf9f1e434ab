import { join, type MemberData } from './member.ts';

globalThis.onmessage = ({ data }: MessageEvent<MemberData>) => {
  // A rejection would not reach the page as an error event; an exception in a task does.
  join(data, () => globalThis.postMessage('ready')).catch((error: unknown) => {
    setTimeout(() => {
      throw error;
    });
  });
};
