// Loads a checkpoint onto the GPU and generates text. The model stays loaded until another checkpoint is asked for.
import { isMambaError, type LanguageModel, loadModel } from '@mamba/lm';
import { webgpu } from '@mamba/webgpu';

const form = document.querySelector('form')!;
const button = document.querySelector('button')!;
const output = document.querySelector('output')!;
const status = document.querySelector('#status')!;

let loaded: { readonly address: string; readonly lm: LanguageModel } | undefined;
const creating = webgpu().create();
creating.then(({ description }) => {
  status.textContent = description;
}, report);

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  button.disabled = true;
  output.textContent = '';
  try {
    const lm = await load(String(fields.get('checkpoint')));
    const prompt = String(fields.get('prompt'));
    const begin = performance.now();
    let tokens = 0;
    output.textContent = prompt;
    for await (const { id, text } of lm.generate({
      prompt,
      maxTokens: Number(fields.get('tokens')),
      temperature: Number(fields.get('temperature')),
    })) {
      output.append(text);
      if (id !== undefined) tokens++;
    }
    const seconds = (performance.now() - begin) / 1000;
    status.textContent = `${tokens} tokens in ${seconds.toFixed(1)} s`;
  } catch (error) {
    report(error);
  } finally {
    button.disabled = false;
  }
});

async function load(address: string): Promise<LanguageModel> {
  if (loaded?.address === address) return loaded.lm;
  loaded?.lm.dispose();
  loaded = undefined;
  const lm = await loadModel(await creating, new URL(address, location.href), {
    onProgress: (done, total) => {
      status.textContent = `loading: ${done} of ${total} tensors`;
    },
  });
  loaded = { address, lm };
  return lm;
}

function report(error: unknown): void {
  status.textContent = isMambaError(error) ? error.message : String(error);
}
