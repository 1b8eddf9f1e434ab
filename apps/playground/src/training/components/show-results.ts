/** Scrolls to a panel where it begins above the screen, or in its lower half: what comes next is seen there. */
export function showResults(id: string): void {
  const panel = document.getElementById(id);
  const top = panel?.getBoundingClientRect().top ?? 0;
  if (top < 0 || top > innerHeight / 2) panel?.scrollIntoView();
}
