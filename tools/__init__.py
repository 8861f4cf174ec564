"""What developing needs: runtimes and brokers fetched, mutations."""

from common.interrupted import end_quietly

end_quietly()  # what its commands import takes its time
