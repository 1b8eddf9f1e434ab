import { renderer } from '../render.ts';
import { App } from './components/app.tsx';
import { Showcase } from './showcase.ts';

/** The seed of the first text, so that all readers see the same one. */
const SEED = 2;

const changed = renderer(() => <App showcase={showcase} />);
const showcase = new Showcase(changed);
changed();
// A file cannot start the workers; the page itself says what to do then.
if (location.protocol !== 'file:') void showcase.story.write(SEED);
addEventListener('pagehide', () => showcase.training.leave());
addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') showcase.stop();
});
