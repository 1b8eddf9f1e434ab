import { render } from 'preact';
import { App } from './components/app.tsx';
import { Playground } from './playground.ts';

const root = document.querySelector('#app')!;
let waiting = false;

// Tokens may come faster than frames, so changes are shown once a frame.
const playground = new Playground(() => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    show();
  });
});

function show(): void {
  render(<App playground={playground} />, root);
}

show();
void playground.probe();
