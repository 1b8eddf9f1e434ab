import { text } from './text.js';

text(new URL('/kjv-mamba/', location.href).href)
  .catch((error) => ({ failure: `${error} ${error?.remedy ?? ''}` }))
  .then((result) => {
    document.title = JSON.stringify(result);
  });
