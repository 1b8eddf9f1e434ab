import { report } from './gpu.js';

report().then((result) => {
  document.title = JSON.stringify(result);
});
