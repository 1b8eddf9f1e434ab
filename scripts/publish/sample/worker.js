import { cpu } from '@mamba/cpu';
import { serveLanguageModels } from '@mamba/lm/worker';
import { webgpu } from '@mamba/webgpu';

serveLanguageModels(self, [webgpu(), cpu()]); // the first that runs in this browser
