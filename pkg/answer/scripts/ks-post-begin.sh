report post
