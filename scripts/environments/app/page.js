import { report } from './report.js';

report().then((result) => {
  document.title = JSON.stringify(result);
  // A browser without a driver posts its result; only the server of these checks listens.
  fetch('/result', { method: 'POST', body: JSON.stringify(result) }).catch(() => {});
});
