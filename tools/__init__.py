"""What developing needs: runtimes and brokers fetched, mutations."""
