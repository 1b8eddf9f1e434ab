import { renderer } from '../render.ts';
import { App } from './components/app.tsx';
import { Training } from './training.ts';

const changed = renderer(() => <App training={training} />);
const training = new Training(changed);
changed();
void training.probe();
// A page that is left may be kept for the way back, with its workers.
addEventListener('pagehide', () => training.leave());
