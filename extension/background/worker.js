// Where the background of the extension starts. All listeners are registered here, at the top
// level: the browser stops this worker when it is idle and starts it again for the next event.

chrome.runtime.onMessage.addListener(() => false);
