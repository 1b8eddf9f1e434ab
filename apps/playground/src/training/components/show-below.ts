/** Scrolls to a panel where it begins in the lower half of the screen, or below it: on narrow screens. */
export function showBelow(id: string): void {
  const panel = document.getElementById(id);
  if (panel !== null && panel.getBoundingClientRect().top > innerHeight / 2) panel.scrollIntoView();
}
