import { type Job, run } from './run.ts';

globalThis.onmessage = async ({ data }: MessageEvent<{ readonly job: Job; readonly fixtures: string }>) => {
  try {
    globalThis.postMessage({ report: await run(data.job, data.fixtures) });
  } catch (error) {
    globalThis.postMessage({ failure: String(error) });
  }
};
