// The page of the browser's conformance runs: the test drives it through `onPage` and `inWorker`.
import { type Job, type JobReport, run } from './run.ts';

declare global {
  interface Window {
    onPage(job: Job): Promise<JobReport>;
    inWorker(job: Job): Promise<JobReport>;
  }
}

const fixtures = new URL('/', location.href).href;

window.onPage = (job) => run(job, fixtures);

window.inWorker = (job) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<{ readonly report: JobReport } | { readonly failure: string }>) => {
      worker.terminate();
      if ('report' in data) resolve(data.report);
      else reject(new Error(data.failure));
    };
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage({ job, fixtures });
  });
