'use strict';
// Starts the page once its head is painted. What is below the first screen takes longer to lay out than all of that.
{
  const start = () => {
    const rest = document.getElementById('rest'), script = document.createElement('script');
    rest.replaceWith(rest.content);
    script.src = '/page.js';
    document.head.append(script);
  };
  // A tab in the background is not painted.
  if (document.hidden) start(); else requestAnimationFrame(() => setTimeout(start));
}
